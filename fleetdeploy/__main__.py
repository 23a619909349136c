"""``python -m fleetdeploy`` is the ``fleetdeploy`` command."""

from fleetdeploy.cli.main import run

if __name__ == "__main__":
    run()
