"""The archive as a static page for people (R4): it shows, and vouches for nothing by itself."""
