"""What a machine that was not profiled would take: rates per operator class, and the networks they were fitted to."""
