"""What several modules share: certificates, time synchronisation, checks of values.

Admin access, log shipping and the node exporter have their place here, too.
"""
