"""A service's directory on its host: the verbs that change it, each whole or not at all, and who may."""
