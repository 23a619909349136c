"""A simulated fleet: hosts, model servers and a balancer behind the protocols of ``fleetdeploy/domain/protocols.py``.

Time is virtual, state outlives the controllers that act on it, and any call can be made to fail, to hang or to be the
last one of its controller.
"""
