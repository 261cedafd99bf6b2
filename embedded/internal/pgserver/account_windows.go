package pgserver

// account is always nil: Windows has no user to change to.
type account struct{}

func serverAccount() (*account, error)   { return nil, nil }
func (a *account) own(string) error      { return nil }
func (a *account) canEnter(string) error { return nil }
