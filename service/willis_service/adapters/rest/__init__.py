"""The REST edge: FastAPI routes over the application's job desk."""
