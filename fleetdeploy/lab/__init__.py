"""A throw-away fleet on this machine: hosts made of Linux namespaces, one load balancer, and a stand-in for TF Serving.

``fleet.Lab`` is the way in; its module says what a lab consists of and how it is used. Only ``cli/`` and tests import
this package; nothing in it is needed to deploy to a real fleet.
"""
