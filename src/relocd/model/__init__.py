"""What the directory and the template sets say, as frozen values: parsing and comparing, no input or output."""
