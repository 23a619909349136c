"""The reserved variables' names."""

from typing import Final

GPUS: Final = "gpus"
SERVICES: Final = "services"
BALANCER: Final = "balancer"
