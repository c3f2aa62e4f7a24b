"""Many networks on one table: trained side by side, searched among, and as one."""
