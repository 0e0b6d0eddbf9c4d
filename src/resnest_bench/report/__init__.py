"""What people read: captions, rounded tables, markup, files."""
