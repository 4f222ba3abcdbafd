package sdtest

var (
	InsidePID = insidePID
	// MakeBridge and Plug are NewNetwork and Join without a test that owns
	// them.
	MakeBridge = makeBridge
	Plug       = plug
	ParseStat  = parseStat
)

// BootBare boots from a root folder without a test that owns the machine.
func BootBare(root string) (*Machine, error) {
	c, err := boot(root)
	if err != nil {
		return nil, err
	}
	return &Machine{core: c}, nil
}

// PID1 returns the host's process id of the machine's PID 1.
func (m *Machine) PID1() int { return m.pid }

// Cgroup returns the folder of the machine's control group on the host.
func (m *Machine) Cgroup() string { return m.cgroup }
