"""Device, number format, memory."""
