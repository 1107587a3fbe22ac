"""What every platform of virtual machines shares: how one that runs is looked into and changed."""
