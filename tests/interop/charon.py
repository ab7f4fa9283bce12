"""One charon with many connections, each told apart by its addresses or identities."""
from lab import CHILD_CONF, SWANCTL_CONF, Strongswan, wait_for


class Charon(Strongswan):
    """`place` is a Host, where ESP is strongSwan's own and in UDP, or a Guest, where it is the kernel's."""

    def __init__(self, place, local, remote, kernel_esp=False, **given):
        super().__init__(place, local, remote, "dynamic", "dynamic", kernel_esp=kernel_esp, **given)
        self.connections = []

    def connection(self, name, children, **given):
        """children: {name: what differs from the connection}."""
        ids = {"connection": name, "local_id": f"{name}.theirs.example", "remote_id": f"{name}.ours.example"}
        self.connections.append(({**self.settings, **ids, **given}, children))

    def children_of(self, name):
        return next(children for settings, children in self.connections if settings["connection"] == name)

    def write(self):
        super().write()
        told = []
        for settings, children in self.connections:
            inner = "".join(CHILD_CONF.format(**{**settings, "name": child, **more})
                            for child, more in children.items())
            told.append(SWANCTL_CONF.format(**{**settings, "children": inner}))
        (self.folder / "swanctl.conf").write_text("\n".join(told))

    def forget(self, names):
        """Orders to give these connections up, all at once."""
        for name in names:
            self.swanctl("--terminate", "--ike", name, "--timeout", "-1", check=False)

    def wait_for_log(self, words, seconds=10):
        return wait_for(lambda: words in self.log(), seconds, 0.2)
