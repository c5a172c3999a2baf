"""What the network switch says: LLDP (IEEE 802.1AB-2016) and LLDP-MED (ANSI/TIA-1057)."""
