"""Questions made from boxes: where, how many, is there one."""
