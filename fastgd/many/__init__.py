"""Many networks: trained side by side, and as one."""
