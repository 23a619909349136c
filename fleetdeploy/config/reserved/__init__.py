"""The reserved variables `gpus`, `services` and `balancer`: schema, checks, and the wishes they become."""
