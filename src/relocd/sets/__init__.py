"""Programs that template sets run: what a service needs done that no file and no unit can say."""
