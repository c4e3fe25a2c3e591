"""What a newcomer meets on a bare Debian; each release is a machine of its own, which installs what it needs."""
