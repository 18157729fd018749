"""What every runbook takes for granted, each with its mend (P1-P4). Changes nothing."""
