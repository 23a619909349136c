"""``fleetdeploy.yml``: the settings of a project."""
