"""TIR → C: lowering with scratch hoisted to parameters, and the printer."""
