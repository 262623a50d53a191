/* A vendor's process in C with sd-bus: LEDs of its own,
 * Device.X_ACMEC_Led.{i}., and a colour on each Ethernet interface,
 * Device.Ethernet.Interface.{i}.X_ACMEC_Colour.
 *
 *     cc -o acme-led acme-led.c $(pkg-config --cflags --libs libsystemd)
 *
 * It is told of changes in three steps: Validate may refuse and changes
 * nothing, Apply does it, Revert takes it back when another part of the same
 * transaction has failed. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>

#define AGENT "org.gatehouse1"
#define SUBTREE "org.gatehouse1.Subtree"
#define LED "Device.X_ACMEC_Led.{i}."
#define ETH "Device.Ethernet.Interface.{i}."
#define MAXLEDS 16

#define TRY(call)                                                             \
	do {                                                                  \
		int r_ = (call);                                              \
		if (r_ < 0)                                                   \
			return r_;                                            \
	} while (0)

struct led {
	char key[32]; /* "" where there is none; never given twice */
	int enable;
	uint32_t brightness;
};

/* All the state there is, so that undoing is copying. */
struct state {
	struct led led[MAXLEDS];
	char colour[17]; /* of eth0 */
};

static struct state now = {
	.led = {{"power", true, 100}, {"wifi", true, 40}},
	.colour = "grey",
};
static struct state before; /* the transaction of this number */
static uint64_t last;
static unsigned serial;

static struct led *find(struct state *s, const char *key)
{
	for (int i = 0; i < MAXLEDS; i++)
		if (strcmp(s->led[i].key, key) == 0)
			return &s->led[i];
	return NULL;
}

/* Rows(s table, as parent) -> a(sa{sv}): every row, with its key. */
static int rows(sd_bus_message *m, void *data, sd_bus_error *err)
{
	const char *table;
	sd_bus_message *reply = NULL;

	TRY(sd_bus_message_read(m, "s", &table));
	TRY(sd_bus_message_new_method_return(m, &reply));
	TRY(sd_bus_message_open_container(reply, 'a', "(sa{sv})"));
	if (strcmp(table, ETH) == 0) {
		/* Rows of the standard have the names that the system gives them. */
		TRY(sd_bus_message_append(reply, "(sa{sv})", "eth0", 1,
			"X_ACMEC_Colour", "s", now.colour));
	} else {
		for (int i = 0; i < MAXLEDS; i++)
			if (now.led[i].key[0])
				TRY(sd_bus_message_append(reply, "(sa{sv})", now.led[i].key, 2,
					"Enable", "b", now.led[i].enable,
					"Brightness", "u", now.led[i].brightness));
	}
	TRY(sd_bus_message_close_container(reply));
	TRY(sd_bus_send(NULL, reply, NULL));
	sd_bus_message_unref(reply);
	return 1;
}

/* New(s table, as parent) -> s key, a{sv}: what AddObject makes. It has no
 * effect: the row comes to life in Apply. */
static int new(sd_bus_message *m, void *data, sd_bus_error *err)
{
	char key[32];

	snprintf(key, sizeof(key), "led-%llx-%u", (unsigned long long)last, ++serial);
	return sd_bus_reply_method_return(m, "sa{sv}", key, 1, "Enable", "b", false);
}

/* One value of a change goes into the state. */
static int assign(sd_bus_message *m, struct state *s, struct led *l, const char *name, sd_bus_error *err)
{
	const char *text;

	if (strcmp(name, "X_ACMEC_Colour") == 0) {
		TRY(sd_bus_message_read(m, "v", "s", &text));
		snprintf(s->colour, sizeof(s->colour), "%s", text);
		return 0;
	}
	if (strcmp(name, "Enable") == 0)
		return sd_bus_message_read(m, "v", "b", &l->enable);
	if (strcmp(name, "Brightness") == 0) {
		TRY(sd_bus_message_read(m, "v", "u", &l->brightness));
		/* A message that begins with the name blames that parameter. */
		if (l->brightness == 13)
			return sd_bus_error_set(err, "org.gatehouse1.Error.InvalidValue", "Brightness: 13 is unlucky");
		return 0;
	}
	return sd_bus_message_skip(m, "v");
}

/* One change, (ssasa{sv}): kind, table, keys, values. */
static int change(sd_bus_message *m, struct state *s, sd_bus_error *err)
{
	const char *kind, *table, *key = "", *name;
	struct led *l;

	TRY(sd_bus_message_read(m, "ss", &kind, &table));
	TRY(sd_bus_message_enter_container(m, 'a', "s"));
	TRY(sd_bus_message_read(m, "s", &key));
	TRY(sd_bus_message_exit_container(m));
	l = find(s, key);
	if (strcmp(table, LED) == 0) {
		if (strcmp(kind, "add") == 0) {
			l = find(s, "");
			if (!l || strlen(key) >= sizeof(l->key))
				return sd_bus_error_set(err, "org.gatehouse1.Error.Full", "no more LEDs");
			*l = (struct led){0};
			strcpy(l->key, key);
		}
		if (!l)
			return sd_bus_error_set(err, "org.gatehouse1.Error.InvalidName", "there is no such LED");
		if (strcmp(kind, "delete") == 0)
			*l = (struct led){0};
	}
	TRY(sd_bus_message_enter_container(m, 'a', "{sv}"));
	while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
		TRY(sd_bus_message_read(m, "s", &name));
		TRY(assign(m, s, l, name, err));
		TRY(sd_bus_message_exit_container(m));
	}
	return sd_bus_message_exit_container(m);
}

/* The changes of a transaction, made to a copy of the state. */
static int changes(sd_bus_message *m, uint64_t *id, struct state *s, sd_bus_error *err)
{
	*s = now;
	TRY(sd_bus_message_read(m, "t", id));
	TRY(sd_bus_message_enter_container(m, 'a', "(ssasa{sv})"));
	while (sd_bus_message_enter_container(m, 'r', "ssasa{sv}") > 0) {
		TRY(change(m, s, err));
		TRY(sd_bus_message_exit_container(m));
	}
	return sd_bus_message_exit_container(m);
}

static int validate(sd_bus_message *m, void *data, sd_bus_error *err)
{
	struct state s;
	uint64_t id;

	TRY(changes(m, &id, &s, err));
	return sd_bus_reply_method_return(m, "");
}

/* Apply(t transaction, a(ssasa{sv})) -> b deferred. */
static int apply(sd_bus_message *m, void *data, sd_bus_error *err)
{
	struct state s;
	uint64_t id;

	TRY(changes(m, &id, &s, err));
	before = now;
	last = id;
	now = s; /* here the hardware would be told */
	return sd_bus_reply_method_return(m, "b", false);
}

static int revert(sd_bus_message *m, void *data, sd_bus_error *err)
{
	uint64_t id;

	TRY(sd_bus_message_read(m, "t", &id));
	if (id == last)
		now = before;
	return sd_bus_reply_method_return(m, "");
}

static const sd_bus_vtable subtree[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Rows", "sas", "a(sa{sv})", rows, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("New", "sas", "sa{sv}", new, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Validate", "ta(ssasa{sv})", "", validate, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Apply", "ta(ssasa{sv})", "b", apply, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Revert", "t", "", revert, SD_BUS_VTABLE_UNPRIVILEGED),
	/* sd_bus_emit_signal(bus, path, SUBTREE, "Changed", "s", LED) says that
	 * rows have changed by themselves; "" stands for any table. */
	SD_BUS_SIGNAL("Changed", "s", 0),
	SD_BUS_VTABLE_END
};

static int registered(sd_bus_message *m, void *data, sd_bus_error *err)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);

	if (e)
		fprintf(stderr, "acme-led: %s: %s\n", (const char *)data, e->message);
	return 0;
}

/* Calls to the agent do not wait for their answer: it may want one of ours
 * first. */
static int registration(sd_bus *bus, const char *prefix, sd_bus_message **m)
{
	TRY(sd_bus_message_new_method_call(bus, m, AGENT, "/org/gatehouse1", AGENT ".Registry", "Register"));
	TRY(sd_bus_message_append(*m, "s", prefix));
	return sd_bus_message_open_container(*m, 'a', "(ssa{sv})");
}

static int register_all(sd_bus *bus)
{
	sd_bus_message *m = NULL;

	TRY(registration(bus, LED, &m));
	TRY(sd_bus_message_append(m, "(ssa{sv})", "", "object", 1, "Add", "b", true));
	TRY(sd_bus_message_append(m, "(ssa{sv})", "Alias", "alias", 0));
	TRY(sd_bus_message_append(m, "(ssa{sv})", "Enable", "boolean", 1, "Access", "s", "readWrite"));
	TRY(sd_bus_message_append(m, "(ssa{sv})", "Brightness", "unsignedInt", 2,
		"Access", "s", "readWrite", "Max", "u", (uint32_t)100));
	TRY(sd_bus_message_close_container(m));
	TRY(sd_bus_message_append(m, "a{sv}", 0));
	TRY(sd_bus_call_async(bus, NULL, m, registered, LED, 0));
	m = sd_bus_message_unref(m);

	TRY(registration(bus, ETH "X_ACMEC_", &m));
	TRY(sd_bus_message_append(m, "(ssa{sv})", "Colour", "string", 2,
		"Access", "s", "readWrite", "MaxLength", "u", (uint32_t)16));
	TRY(sd_bus_message_close_container(m));
	TRY(sd_bus_message_append(m, "a{sv}", 0));
	TRY(sd_bus_call_async(bus, NULL, m, registered, ETH, 0));
	sd_bus_message_unref(m);
	return 0;
}

/* The agent was started, or has gone. */
static int owner(sd_bus_message *m, void *data, sd_bus_error *err)
{
	const char *name, *old, *now_;

	TRY(sd_bus_message_read(m, "sss", &name, &old, &now_));
	return now_[0] ? register_all(sd_bus_message_get_bus(m)) : 0;
}

int main(void)
{
	sd_bus *bus = NULL;
	int r;

	if ((r = sd_bus_open_system(&bus)) < 0 ||
	    (r = sd_bus_add_object_vtable(bus, NULL, "/org/gatehouse1/Subtree", SUBTREE, subtree, NULL)) < 0 ||
	    (r = sd_bus_add_match(bus, NULL, "type='signal',sender='org.freedesktop.DBus',"
		"interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" AGENT "'", owner, NULL)) < 0 ||
	    (r = register_all(bus)) < 0) {
		fprintf(stderr, "acme-led: %s\n", strerror(-r));
		return 1;
	}
	for (;;) {
		if ((r = sd_bus_process(bus, NULL)) == 0)
			r = sd_bus_wait(bus, UINT64_MAX);
		if (r < 0) {
			fprintf(stderr, "acme-led: %s\n", strerror(-r));
			return 1; /* the bus has ended: whoever started us does so again */
		}
	}
}
