"""Create, migrate, check and maintain registries of Rubin Data Butler repositories."""

__version__ = "0.1.0"

__all__ = ["__version__"]
