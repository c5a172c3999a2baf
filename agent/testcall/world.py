"""What a test call has to know of the agent, read from the engine."""

from __future__ import annotations

from agent.engine import Engine
from agent.light.wording import network_sentence
from agent.model import VoiceState
from agent.testcall.evidence import Subject


class EngineWorld:
    """Implements `agent.testcall.tester.World`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def tested(self) -> Subject:
        """See World."""
        engine = self._engine
        scene, proof = engine.scene(), engine.binding.proof
        return Subject(
            generation=engine.network.generation if engine.network is not None else 0,
            address_id=engine.binding.address_id if scene.present is not None else None,
            civic=scene.present,
            proven=scene.proven,
            network=network_sentence(engine.network),
            place_id=engine.where.verdict.place_id,
            anchor=proof.registered_ip if scene.proven and proof is not None else None,
        )

    def voice(self) -> VoiceState:
        """See World."""
        return self._engine.voice

    def changed(self) -> None:
        """See World."""
        self._engine.relight()
