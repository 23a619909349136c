"""fleetdeploy: declarative, rolling deployment of TF Serving models to bare-metal GPU fleets over SSH."""

__version__ = "0.1.0"
