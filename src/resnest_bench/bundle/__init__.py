"""A study's latency networks as one archive that another device can measure (docs/devices.md)."""
