"""A cinder backend of volumes that hold nothing."""

from __future__ import annotations

from typing import Any

from cinder import interface
from cinder.volume import driver


@interface.volumedriver
class Nowhere(driver.VolumeDriver):  # type: ignore[misc]
    """Every call succeeds at once; what there is to know is in cinder's database."""

    VERSION = "1"

    def _update_volume_stats(self) -> None:
        pool = {
            "pool_name": "nowhere",
            "total_capacity_gb": 100_000,
            "free_capacity_gb": 100_000,
            "reserved_percentage": 0,
            "multiattach": True,
            "QoS_support": False,
        }
        self._stats = {
            "volume_backend_name": "nowhere",
            "vendor_name": "lab",
            "driver_version": self.VERSION,
            "storage_protocol": "fake",
            "pools": [pool],
        }

    def initialize_connection(self, volume: Any, connector: Any) -> dict[str, Any]:
        data = {"volume_id": volume["id"], "access_mode": "rw"}
        return {"driver_volume_type": "fake", "data": data}

    def clone_image(self, *ignored: Any) -> tuple[dict[str, Any], bool]:
        return {}, True  # it is there: cinder has nothing to fetch

    def _succeed(self, *ignored: Any, **named: Any) -> None:
        """There is nothing to do."""

    check_for_setup_error = _succeed
    create_volume = delete_volume = extend_volume = _succeed
    create_snapshot = delete_snapshot = create_volume_from_snapshot = _succeed
    create_cloned_volume = copy_image_to_volume = _succeed
    ensure_export = create_export = remove_export = terminate_connection = _succeed
