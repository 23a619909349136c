"""Who is in service, and who may be taken out of it."""
