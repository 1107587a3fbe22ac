"""Materials for modules whose certificates are real ones, of one authority."""

from __future__ import annotations

from datetime import UTC, datetime

from pgstead.certificates import Authority, CertificateRequest, KeyPair, issue
from pgstead.modules.fake import FakeMaterials


class Signed(FakeMaterials):
    """Whatever is asked for is signed by `signer`."""

    def __init__(self, signer: Authority) -> None:
        super().__init__()
        self.signer = signer
        self.pairs: dict[str, KeyPair] = {}

    def authority(self, name: str, given: Authority | None = None) -> Authority:
        return self.signer

    def certificate(self, request: CertificateRequest) -> KeyPair:
        if request.name not in self.pairs:
            self.pairs[request.name] = issue(request, self.signer, now=datetime.now(UTC))
        return self.pairs[request.name]
