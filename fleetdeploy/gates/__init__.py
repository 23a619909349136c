"""Gates: what must hold before a rollout goes on. AVAILABLE is one of them; it is no proof by itself."""
