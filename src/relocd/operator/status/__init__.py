"""What the directory and the agents say of servers and services, as tables, JSON or a live view."""
