// Package app wires the agent: it opens the state, binds the data model to the
// platform, and runs every task until it is told to stop. main, the lab and
// the whole-agent tests all come in through Run.
package app

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/control"
	"gatehouse/agent/core"
	"gatehouse/agent/diag"
	"gatehouse/agent/notify"
	"gatehouse/agent/rpc"
	"gatehouse/agent/settings"
	"gatehouse/agent/transfer"
	"gatehouse/cwmp"
	"gatehouse/datamodel"
	"gatehouse/datamodel/tr181"
	"gatehouse/internal/guard"
	"gatehouse/internal/store"
	"gatehouse/platform"
)

// Config is all that an agent gets from outside: a test gives it a router in
// memory, pipes for a network and a file system that fails.
type Config struct {
	Platform platform.Platform
	Version  string

	// Files. Config and Factory may be missing; State and Run are made.
	ConfigFile, FactoryFile string
	State, Run              string
	StateFS, RunFS          store.FS // nil: the real one
	Spool                   string   // where the file of a transfer lies while it is on its way, in RAM; "": Run
	ResolvConf, Hosts       string   // where the stub resolver reads; "": /etc
	UBus                    string   // the socket of ubusd; "": where OpenWrt has it

	// Dial and Listen are the network; nil: the real one, with the interface
	// that the configuration names. Dial is given literal addresses.
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
	// ListenUDP opens the socket of STUN; nil: the real network.
	ListenUDP func(ctx context.Context, network, address string) (UDPConn, error)
	// Who says who stands at the control socket; nil: what the kernel says.
	Who func(net.Conn) api.Caller

	// Schemas are shared by the agents of one process; nil: this one is alone.
	Schemas *datamodel.Schemas
	// Built is when the agent was built: the clock cannot be earlier.
	Built time.Time
	// Rand is uniform in [0, n), for back-off and phases; nil: math/rand.
	Rand func(n int64) int64
	// Reload is sent to when the configuration is to be read again (SIGHUP).
	Reload <-chan struct{}
	// Dump sees every envelope, with its secrets masked; nil: nobody looks.
	Dump func(sent bool, envelope string)
	// Rest is called after each session: what it needed, trusted roots above
	// all, can be given back. May be nil.
	Rest func()
	// Ready is called when the agent is up, and again when it comes back from
	// safe mode; nil: nobody waits.
	Ready func(*Agent)
	// Level is set to what the configuration says; nil: somebody else decides.
	Level *slog.LevelVar
	Log   *slog.Logger
}

// An Agent is one running agent.
type Agent struct {
	cfg      Config
	log      *slog.Logger
	state    *store.Dir
	run      *store.Dir
	settings *settings.Settings
	id       platform.ID
	bootID   string
	wall     *wall
	model    *tr181.Model
	tree     *datamodel.Tree
	notify   *notify.Notifier
	core     *core.Agent
	api      *api.Service
	rules    rulebook
	guard    *guard.Guard
	after    *aftermath
	way      way
	reach    *reach

	discovered discovered
	health     *health
	safe       bool
	counters   counters
	recent     *recent

	transfers *rpc.Transfers
	runner    *transfer.Runner
	pauses    pauses
	diag      *diag.Keeper

	network   atomic.Pointer[network]     // made by the first session
	unchecked atomic.Pointer[cwmp.Client] // of a session that was held without a clock

	extras   []extra  // optional parts
	provider provider // one of them; nil: not built in

	good     *chore // a session went well
	requests *chore // the connection request server; other settings
	metrics  *chore // where the counters can be asked for; another place
	networks *chore // links, addresses, routes may be others now
	mappings *chore // port mappings, or the clock that ends them, may be others now
	changed  *chore // settings have other values now
	clock    *chore // the wall clock was set
	queued   *chore // transfers, due at another time now
	tests    *chore // diagnostics; one was requested
	steady   bool   // of good

	tried     sync.Once
	answering chan struct{} // closed when the connection request server has had its first try
	leaveSafe func()        // ends the tasks, so that the agent starts over as a whole
	unlock    func() error  // the folders of state
}

// API is the service behind the agent's doors, for who shares its process.
func (a *Agent) API() *api.Service { return a.api }

// Run is an agent, from its start until ctx ends. It returns an error when it
// cannot start or an essential task fails.
func Run(ctx context.Context, cfg Config) (err error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Who == nil {
		cfg.Who = control.Peer
	}
	for again := true; again && err == nil; {
		again, err = runOnce(ctx, &cfg)
	}
	return err
}

// runOnce is one life of the agent. It is to have another one when its safe
// mode has ended.
func runOnce(ctx context.Context, cfg *Config) (again bool, err error) {
	a := &Agent{cfg: *cfg, log: cfg.Log, answering: make(chan struct{}), unlock: func() error { return nil }}
	defer func() { err = errors.Join(err, a.unlock()) }()
	if err := apart(func() error { return a.begin(ctx) }); err != nil {
		return false, err
	}
	if cfg.Ready != nil {
		cfg.Ready(a)
	}
	life, stop := context.WithCancel(ctx)
	defer stop()
	a.leaveSafe = stop
	err = runTasks(life, stop, a.log, a.tasks(), a.chores())
	if err := a.notify.Stop(); err != nil { // now, for the last session still needed it
		a.log.Warn("what the ACS was told is not kept", "err", err)
	}
	if err != nil {
		return false, err
	}
	if err := a.health.end(); err != nil {
		a.log.Warn("this end may count as a bad one", "err", err)
	}
	return ctx.Err() == nil, nil
}

// apart runs f on a goroutine of its own. That of the caller waits as long as the
// agent lives: the stack that f takes is given back, and not kept there.
func apart(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return <-done
}

// begin makes the agent. Nothing but notify runs yet when it returns.
func (a *Agent) begin(ctx context.Context) error {
	a.makeChores()
	unlock, err := a.open()
	if err != nil {
		return err
	}
	a.unlock = unlock
	a.startHealth(ctx)
	a.good.first = a.settlesAfter()
	if err = a.start(ctx); err == nil {
		a.notify.Start(ctx)
		return nil
	}
	// A start that fails is a bad end, but for what the administrator has to
	// correct: safe mode would not help, and would be there when it is.
	if config := (errConfig{}); errors.As(err, &config) {
		err = errors.Join(err, a.health.end())
	}
	return err
}

// open opens the folders of state and takes the lock that keeps a second agent
// off them.
func (a *Agent) open() (unlock func() error, err error) {
	a.state, err = store.Open(a.cfg.State, store.Options{FS: a.cfg.StateFS, Log: a.log.With("component", "store")})
	if err != nil {
		a.log.Error("starting without what was kept, and what is kept from now on may be lost", "err", err)
	}
	a.run, err = store.Open(a.cfg.Run, store.Options{FS: a.cfg.RunFS, Log: a.log.With("component", "store")})
	if err != nil {
		return nil, err
	}
	unlockState, err := a.state.Lock()
	if errors.Is(err, store.ErrLocked) {
		return nil, fmt.Errorf("state in %s: %w", a.cfg.State, err)
	}
	if err != nil { // there is no such folder; the other lock holds off a second agent as well
		unlockState = func() error { return nil }
	}
	unlockRun, err := a.run.Lock()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("run directory %s: %w", a.cfg.Run, err), unlockState())
	}
	return func() error { return errors.Join(unlockRun(), unlockState()) }, nil
}

// start makes every part, lowest first. Nothing runs yet when it returns.
func (a *Agent) start(ctx context.Context) error {
	p := a.cfg.Platform
	a.wall = newWall(p.Clock, a.cfg.Built, a.newestState())
	a.wall.refresh(ctx)
	a.recent = &recent{now: a.wall.Now}
	var err error
	a.settings, err = settings.Open(settings.Options{
		Config: a.cfg.ConfigFile, Factory: a.cfg.FactoryFile,
		State: a.state.File("settings", 1), Good: a.state.File("configuration", 1),
		Log: a.log.With("component", "settings"),
	})
	if err != nil {
		return errConfig{err}
	}
	a.logLevel()
	if err := a.settings.Generate(); err != nil {
		a.log.Warn("the path of connection requests will be another one after a restart", "err", err)
	}
	if a.id, err = a.identify(ctx); err != nil {
		return err
	}
	a.reach = &reach{links: p.Links, addresses: p.Addresses, kept: a.run.File("reach", 1)}
	a.reach.load()
	a.reach.refresh(ctx)
	a.discover(ctx)
	a.bootID = a.findBootID(ctx)
	a.startAftermath()
	a.startTransfers(ctx)
	if err := a.startModel(ctx); err != nil {
		return err
	}
	if err := a.startNotify(); err != nil {
		return err
	}
	if err := a.startCore(); err != nil {
		return err
	}
	a.guard = guard.New(guard.Config{
		Accept: func(string) { a.post(core.ConnectionRequest{}) },
		Log:    a.log.With("component", "connreq"),
	})
	a.api = api.New(api.Config{
		Tree: a.tree, Attributes: a.notify, Core: a.core,
		Origin: a.origin, Reload: a.settings.Reload, Written: a.written, Agent: a.describe, Recent: a.recent.sessions,
		Statuses: func(ctx context.Context) iter.Seq[core.Status] { return a.core.Watch(ctx) },
		Log:      a.log.With("component", "api"),
	})
	if a.provider != nil {
		a.api.Provider = a.provider
	}
	a.settings.OnChange(a.settingsChanged)
	return nil
}

// startModel binds the declarations to the platform. After three bad ends in a
// row only those remain that an ACS needs to push another firmware.
func (a *Agent) startModel(ctx context.Context) (err error) {
	p := a.cfg.Platform
	if a.safe {
		p = platform.Platform{Name: p.Name, Identity: p.Identity, System: p.System, Power: p.Power}
		a.log.Error("safe mode: the agent ended badly three times within ten minutes of its start")
	}
	a.extras = nil // of a start in safe mode
	a.withUBus()   // at every start
	a.withDBus()
	var stun tr181.NAT
	var xmpp tr181.XMPP
	var provider tr181.Provider
	var voice tr181.Voice
	var lightweight bool
	if !a.safe {
		stun, xmpp, lightweight = a.withSTUN(), a.withXMPP(), a.withLightweight()
		provider, voice = a.withRUE()
	}
	ours := tr181.Agent{
		NAT:         stun,
		XMPP:        xmpp,
		Settings:    a.settings,
		Reach:       a.reach,
		Identity:    func() platform.ID { return a.id },
		Keep:        func(name string) datamodel.Backing { return a.state.File("kept-"+name, 1) },
		Version:     a.cfg.Version,
		Transfers:   a.runner.Queue,
		Diagnostics: a.startDiagnostics(),
		Start:       time.Now(),
		Reload:      a.after.reload,
		Provider:    provider,
		Voice:       voice,

		Lightweight: lightweight,
	}
	if p.DHCPClient != nil {
		ours.Gateway = a.gatewayInfo
	}
	a.model = tr181.New(p, ours)
	a.tree, err = datamodel.New(datamodel.Options{
		Numbers: a.state.File("instances", 1),
		Journal: a.state.File("journal", 1),
		Schemas: a.cfg.Schemas,
		Log:     a.log.With("component", "datamodel"),

		Committing: a.after.committing,
	})
	if err != nil {
		a.log.Error("starting without the instance numbers given so far: rows may have others, and none can be added", "err", err)
	}
	a.after.undo = a.tree.Undo
	// Safe mode leaves objects out, but not what a crash left half done in them.
	undo := a.model.Undo()
	if a.safe {
		undo = tr181.New(a.cfg.Platform, ours).Undo()
	}
	undo[settings.UndoName] = a.settings.Recover
	a.tree.Recover(ctx, undo)
	_, err = a.tree.Add(a.model.Objects()...)
	return err
}

func (a *Agent) startNotify() (err error) {
	a.notify, err = notify.New(notify.Config{
		Tree:       a.tree,
		Defaults:   func() iter.Seq[datamodel.Info] { return notify.Defaults(a.tree) },
		Attributes: a.state.File("attributes", 1),
		Told:       a.state.File("told", 1),
		Run:        a.run.File("told", 1),
		Core: func(ctx context.Context, changed bool) error {
			return a.core.Post(ctx, core.ValueChange{Withdrawn: !changed})
		},
		Light: func() { a.tell(ofLight) },
		Log:   a.log.With("component", "notify"),
	})
	return err
}

// startCore makes core and what runs its sessions.
func (a *Agent) startCore() (err error) {
	runner := &sessions{agent: a}
	cfg := core.Config{
		Runner:   runner,
		Settings: a.schedule,
		Flash:    a.state.File("events", 1),
		Run:      a.run.File("session", 1),
		BootID:   a.bootID,
		Now:      a.wall.Now,
		Rand:     a.cfg.Rand,
		Booted:   a.bootedOnce,
		Wipe:     a.wipe,
		Owed:     a.transfers.Owed,
		After:    a.afterSession, AfterLeft: a.after.left(),
		Log: a.log.With("component", "core"),
	}
	if a.cfg.Platform.Power != nil {
		cfg.Restart = a.restart
	}
	if a.core, err = core.New(cfg); err != nil {
		return err
	}
	runner.handler = rpc.New(rpc.Config{
		Tree: a.tree, Attributes: a.notify, Core: a.core,
		ParameterKey: func(tx *datamodel.Tx, key string) error { return a.settings.Stage(tx, settings.ParameterKey, key) },
		Addressing:   a.addressing,
		Written:      a.writtenByACS,
		Transfers:    a.transfers,
		Log:          a.log.With("component", "rpc"),
	})
	return nil
}

// runCore lets the first session wait until the kernel, which may have just
// booted, is again as the ACS has set it, and for the connection request
// server: the Inform says where that listens.
func (a *Agent) runCore(ctx context.Context) error {
	a.putBack(ctx)
	select {
	case <-a.answering:
	case <-ctx.Done():
	}
	return a.core.Run(ctx)
}

// tasks and chores are the whole agent as a table.
func (a *Agent) tasks() []task {
	tasks := []task{
		{name: "core", run: a.runCore, essential: true},
		{name: "platform events", run: a.watchPlatform},
		{name: "control", run: a.serveControl},
	}
	if a.cfg.Reload != nil {
		tasks = append(tasks, task{name: "reload", run: a.watchReload})
	}
	return tasks
}

// makeChores makes what others poke, from the start on.
func (a *Agent) makeChores() {
	a.good = &chore{name: "health", turn: a.settled}
	a.requests = &chore{name: "connection requests", turn: a.serveConnectionRequests, rude: true}
	a.metrics = &chore{name: "metrics", turn: a.serveMetrics, rude: true}
	a.networks = &chore{name: "network", turn: a.followNetwork, settle: networkSettles, first: networkSettles}
	a.mappings = &chore{name: "port mappings", turn: a.expireMappings}
	a.changed = &chore{name: "settings", turn: a.relaySettings, first: whenPoked}
	a.clock = &chore{name: "clock", turn: a.relayClock, first: whenPoked}
	a.way.trial = &chore{name: "trial", turn: a.try, first: whenPoked}
}

func (a *Agent) chores() []*chore {
	chores := []*chore{
		a.good, a.requests, a.metrics, a.networks, a.mappings, a.changed, a.clock, a.way.trial, a.queued, a.tests,
	}
	for _, e := range a.extras {
		chores = append(chores, e.chore)
	}
	return chores
}
