"""RFC 4533 content synchronisation as pure state: events in, what concerns this server out."""
