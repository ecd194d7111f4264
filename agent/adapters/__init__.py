"""Adapters of a tenant: what each is, which one answers, and how that is changed and taken back.

finetune makes them, `chatalogue adapters` and `learn` move them, the server follows (live.py). Trains and judges none.
"""

from agent.adapters.manifest import AdapterManifest, AdapterState, BaseIdentity, GateVerdict, Measured

__all__ = ["AdapterManifest", "AdapterState", "BaseIdentity", "GateVerdict", "Measured"]
