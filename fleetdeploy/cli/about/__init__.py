"""Commands about fleetdeploy itself: a first project, manuals."""
