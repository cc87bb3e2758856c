"""The lecture's claims, the experiments that test them, and the report that puts both side by side."""
