"""Everything that touches PJSIP: the only importers of pjsua2."""
