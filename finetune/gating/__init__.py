"""What the gate looks at, rule by rule (finetune/gate.py puts it together)."""
