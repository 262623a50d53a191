// Device.DeviceInfo.MemoryStatus., NetworkProperties., ProcessStatus. and
// TemperatureStatus.

package tr181

import (
	"context"
	"iter"
	"math"
	"strconv"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.DeviceInfo.MemoryStatus.: main memory.
type memoryStatus struct{ total, free uint32 } // KiB

var memoryStatusParams = []datamodel.Param[memoryStatus]{
	{Name: "Total", At: func(m *memoryStatus) any { return &m.total }},
	{Name: "Free", At: func(m *memoryStatus) any { return &m.free }, Notify: datamodel.NotifyNever},
}

func (m *Model) memoryStatus() datamodel.Object {
	return datamodel.Define("Device.DeviceInfo.MemoryStatus.", memoryStatusParams, datamodel.Source[memoryStatus]{
		Keys: datamodel.Always,
		Rows: datamodel.One(func(ctx context.Context, _ []datamodel.Key) (memoryStatus, error) {
			mem, err := m.p.System.Memory(ctx)
			return memoryStatus{kib(mem.Total), kib(mem.Free)}, lacking(err)
		}),
	})
}

// Device.DeviceInfo.NetworkProperties.: the TCP of the kernel.
type networkProperties struct {
	maxTCPWindowSize  uint32
	tcpImplementation []string
}

var networkPropertiesParams = []datamodel.Param[networkProperties]{
	{Name: "MaxTCPWindowSize", At: func(n *networkProperties) any { return &n.maxTCPWindowSize }},
	{Name: "TCPImplementation", At: func(n *networkProperties) any { return &n.tcpImplementation },
		Check: datamodel.List{Of: datamodel.Enum{"Tahoe", "Reno", "New Reno", "Vegas"}}},
}

func (m *Model) networkProperties() datamodel.Object {
	return datamodel.Define("Device.DeviceInfo.NetworkProperties.", networkPropertiesParams, datamodel.Source[networkProperties]{
		Keys: datamodel.Always,
		Rows: datamodel.One(func(ctx context.Context, _ []datamodel.Key) (networkProperties, error) {
			tcp, err := m.p.TCP.TCP(ctx)
			n := networkProperties{maxTCPWindowSize: tcp.MaxWindow}
			// The standard's names end in the year 1999; for what has come since,
			// cubic and bbr, the list stays empty.
			switch tcp.Congestion {
			case "reno": // Linux's has always been the new one
				n.tcpImplementation = []string{"New Reno"}
			case "vegas":
				n.tcpImplementation = []string{"Vegas"}
			}
			return n, lacking(err)
		}),
	})
}

// Device.DeviceInfo.ProcessStatus.: how busy the processors are.
type processStatus struct{ cpuUsage uint32 } // percent

var processStatusParams = []datamodel.Param[processStatus]{
	{Name: "CPUUsage", At: func(s *processStatus) any { return &s.cpuUsage }, Check: datamodel.Range{Max: 100}, Notify: datamodel.NotifyNever},
}

func (m *Model) processStatus() datamodel.Object {
	return datamodel.Define("Device.DeviceInfo.ProcessStatus.", processStatusParams, datamodel.Source[processStatus]{
		Keys: datamodel.Always,
		Rows: datamodel.One(func(ctx context.Context, _ []datamodel.Key) (processStatus, error) {
			n, err := m.p.Processes.CPUUsage(ctx)
			return processStatus{min(n, 100)}, lacking(err)
		}),
	})
}

// Device.DeviceInfo.ProcessStatus.Process.{i}.: the process table, by PID.
type process struct {
	pid      uint32
	command  string
	size     uint32 // KiB
	priority uint32
	cpuTime  uint32 // milliseconds
	state    string
}

var processParams = []datamodel.Param[process]{
	{Name: "PID", At: func(r *process) any { return &r.pid }},
	{Name: "Command", At: func(r *process) any { return &r.command }, Check: datamodel.Len{Max: 256}},
	{Name: "Size", At: func(r *process) any { return &r.size }, Notify: datamodel.NotifyNever},
	{Name: "Priority", At: func(r *process) any { return &r.priority }, Check: datamodel.Range{Max: 99}},
	{Name: "CPUTime", At: func(r *process) any { return &r.cpuTime }, Notify: datamodel.NotifyNever},
	{Name: "State", At: func(r *process) any { return &r.state }, Notify: datamodel.NotifyNever,
		Check: datamodel.Enum{"Running", "Sleeping", "Stopped", "Idle", "Uninterruptible", "Zombie"}},
}

func (m *Model) process() datamodel.Object {
	return datamodel.Define("Device.DeviceInfo.ProcessStatus.Process.{i}.", processParams, datamodel.Source[process]{
		Volatile: true,
		Rows: func(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[process], error] {
			return rowsFrom(m.p.Processes.Processes(ctx), func(r platform.Process) datamodel.Row[process] {
				return datamodel.Row[process]{Key: strconv.FormatUint(uint64(r.PID), 10), Value: &process{
					pid: r.PID, command: limit(r.Command, 256), size: kib(r.Size), priority: min(r.Priority, 99),
					cpuTime: uint32(min(r.CPUTime/time.Millisecond, math.MaxUint32)), state: r.State,
				}}
			})
		},
	})
}

// Device.DeviceInfo.TemperatureStatus.TemperatureSensor.{i}.: thermometers.
// Extremes and alarms need somebody who measures all the time, and are absent.
type temperatureSensor struct {
	enable     bool
	status     string
	alias      datamodel.Alias
	name       string
	value      int32 // °C
	lastUpdate time.Time
}

var temperatureSensorParams = []datamodel.Param[temperatureSensor]{
	{Name: "Alias", At: func(s *temperatureSensor) any { return &s.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Enable", At: func(s *temperatureSensor) any { return &s.enable }},
	{Name: "Status", At: func(s *temperatureSensor) any { return &s.status }, Check: datamodel.Enum{"Disabled", "Enabled", "Error"}},
	{Name: "Name", At: func(s *temperatureSensor) any { return &s.name }, Check: datamodel.Len{Max: 256}},
	{Name: "Value", At: func(s *temperatureSensor) any { return &s.value },
		Check: datamodel.AtLeast(absoluteZero), Notify: datamodel.NotifyNever},
	{Name: "LastUpdate", At: func(s *temperatureSensor) any { return &s.lastUpdate }, Notify: datamodel.NotifyNever},
}

// absoluteZero is how an unknown temperature reads, below anything possible.
const absoluteZero = -274

func (m *Model) temperatureSensor() datamodel.Object {
	return datamodel.Define("Device.DeviceInfo.TemperatureStatus.TemperatureSensor.{i}.", temperatureSensorParams, datamodel.Source[temperatureSensor]{
		Rows: func(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[temperatureSensor], error] {
			return rowsFrom(m.p.Sensors.Sensors(ctx), func(s platform.Sensor) datamodel.Row[temperatureSensor] {
				r := temperatureSensor{enable: true, status: "Error", name: limit(s.Name, 256), value: absoluteZero}
				if s.OK {
					r.status, r.value, r.lastUpdate = "Enabled", s.Celsius, m.now().UTC().Truncate(time.Second)
				}
				return datamodel.Row[temperatureSensor]{Key: s.ID, Value: &r}
			})
		},
	})
}
