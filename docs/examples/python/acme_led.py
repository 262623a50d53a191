#!/usr/bin/python3
"""A vendor's process in Python, with dbus-python (Debian: python3-dbus,
python3-gi): LEDs of its own, Device.X_ACMEPY_Led.{i}., and a colour on each
Ethernet interface, Device.Ethernet.Interface.{i}.X_ACMEPY_Colour.

It is told of changes in three steps: Validate may refuse and changes nothing,
Apply does it, Revert takes it back when another part of the same transaction
has failed.
"""

import copy
import sys
import uuid

import dbus
import dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

AGENT = "org.gatehouse1"
SUBTREE = "org.gatehouse1.Subtree"
LED = "Device.X_ACMEPY_Led.{i}."
ETH = "Device.Ethernet.Interface.{i}."
OPTIONS = dbus.Dictionary({}, signature="sv")


class InvalidValue(dbus.DBusException):
    """A message that begins with a parameter's name blames that parameter."""
    _dbus_error_name = AGENT + ".Error.InvalidValue"


def values(**kw):
    return dbus.Dictionary(kw, signature="sv")


def led(enable, brightness):
    return values(Enable=dbus.Boolean(enable), Brightness=dbus.UInt32(brightness))


class Subtree(dbus.service.Object):
    def __init__(self, bus):
        super().__init__(bus, "/org/gatehouse1/Subtree")
        # All the state there is, so that undoing is copying. Rows of the
        # standard are called as the system calls them.
        self.tables = {
            LED: {"power": led(True, 100), "wifi": led(True, 40)},
            ETH: {"eth0": values(X_ACMEPY_Colour="grey")},
        }
        self.before = (None, None)  # the last transaction, and what was before it

    @dbus.service.method(SUBTREE, in_signature="sas", out_signature="a(sa{sv})")
    def Rows(self, table, parent):
        return [(key, row) for key, row in self.tables[table].items()]

    @dbus.service.method(SUBTREE, in_signature="sas", out_signature="sa{sv}")
    def New(self, table, parent):
        """What AddObject makes. It has no effect: the row comes to life in Apply."""
        return uuid.uuid4().hex, led(False, 0)

    @dbus.service.method(SUBTREE, in_signature="ta(ssasa{sv})", out_signature="")
    def Validate(self, transaction, changes):
        for kind, table, keys, row in changes:
            if row.get("Brightness") == 13:
                raise InvalidValue("Brightness: 13 is unlucky")

    @dbus.service.method(SUBTREE, in_signature="ta(ssasa{sv})", out_signature="b")
    def Apply(self, transaction, changes):
        self.before = (transaction, copy.deepcopy(self.tables))
        for kind, table, keys, row in changes:
            rows = self.tables[table]
            if kind == "delete":
                del rows[keys[-1]]
            else:  # "add" brings the whole row, "set" what was assigned
                rows.setdefault(keys[-1], values()).update(row)
        return False  # nothing is deferred

    @dbus.service.method(SUBTREE, in_signature="t", out_signature="")
    def Revert(self, transaction):
        if self.before[0] == transaction:
            self.tables = self.before[1]

    @dbus.service.signal(SUBTREE, signature="s")
    def Changed(self, table):
        """Rows have changed by themselves; "" stands for any table."""


def register(bus):
    """Calls to the agent do not wait for their answer: it may want one of ours
    first."""
    registry = dbus.Interface(bus.get_object(AGENT, "/org/gatehouse1", introspect=False), AGENT + ".Registry")

    def call(prefix, schema):
        registry.Register(prefix, dbus.Array(schema, signature="(ssa{sv})"), OPTIONS,
                          reply_handler=lambda: None, error_handler=lambda e: print(prefix, e, file=sys.stderr))

    call(LED, [
        ("", "object", values(Add=True)),
        ("Alias", "alias", OPTIONS),
        ("Enable", "boolean", values(Access="readWrite")),
        ("Brightness", "unsignedInt", values(Access="readWrite", Max=dbus.UInt32(100))),
    ])
    call(ETH + "X_ACMEPY_", [("Colour", "string", values(Access="readWrite", MaxLength=dbus.UInt32(16)))])


def main():
    DBusGMainLoop(set_as_default=True)
    bus = dbus.SystemBus()
    loop = GLib.MainLoop()
    subtree = Subtree(bus)  # lives as long as this function
    bus.call_on_disconnection(lambda _: loop.quit())
    # At once when the agent is there, and whenever it is started again.
    bus.watch_name_owner(AGENT, lambda owner: owner and register(bus))
    loop.run()
    del subtree


if __name__ == "__main__":
    main()
