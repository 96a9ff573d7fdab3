"""Other people's measurements, read into the project's own objects; one module per set. The files are not shipped."""
