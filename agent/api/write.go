package api

// Writing through a door: for good, or as a dry run.

import (
	"context"

	"gatehouse/agent/core"
	"gatehouse/datamodel"
)

// An Edit is what somebody wants to change: Set, Add with parameters of the new
// instance in Set, or Delete.
type Edit struct {
	Add    string // a table
	Delete []string
	Set    []Assignment
}

// A Plan is what an edit would do.
type Plan struct {
	Writes  []PlannedWrite `json:"writes"`
	Reloads []string       `json:"reloads"` // services that would have to take it up
	Uplink  bool           `json:"uplink"`  // the way to the ACS would be interrupted
}

// A PlannedWrite is one value that would be written.
type PlannedWrite struct {
	Name    string `json:"name"`            // of the parameter
	Where   string `json:"where,omitempty"` // the file, or "kernel"
	What    string `json:"what,omitempty"`  // what there
	Old     string `json:"old"`             // a secret reads "***"
	New     string `json:"new"`
	Service string `json:"service,omitempty"`
	Uplink  bool   `json:"uplink,omitempty"`
}

// Set sets all of them or none. Deferred: it is committed, and in effect after
// the services that it concerns were reloaded. A dry run changes nothing.
func (s *Service) Set(ctx context.Context, c Caller, as []Assignment, dryRun bool) (deferred bool, err error) {
	if dryRun {
		_, err := s.Plan(ctx, c, Edit{Set: as})
		return false, err
	}
	_, deferred, err = s.write(ctx, c, Edit{Set: as})
	return deferred, err
}

// Add makes an instance in the table and sets parameters of it, in one
// transaction; it returns the path of the instance.
func (s *Service) Add(ctx context.Context, c Caller, table string, as []Assignment) (path string, err error) {
	paths, _, err := s.write(ctx, c, Edit{Add: table, Set: as})
	if err != nil {
		return "", err
	}
	return paths[0], nil
}

// Delete deletes all the instances or none.
func (s *Service) Delete(ctx context.Context, c Caller, paths []string) error {
	_, _, err := s.write(ctx, c, Edit{Delete: paths})
	return err
}

// Plan tells what an edit would do, or why it would be refused. Nothing is
// changed; only a number that an Add has drawn is not given again.
func (s *Service) Plan(ctx context.Context, c Caller, e Edit) (Plan, error) {
	tx, _, err := s.begin(ctx, c, e)
	if err != nil {
		return Plan{}, err
	}
	defer tx.Abort()
	lines, after, err := tx.DryRun(ctx)
	if err != nil {
		return Plan{}, named(err)
	}
	p := Plan{Writes: []PlannedWrite{}, Reloads: []string{}}
	for _, l := range lines {
		w := PlannedWrite{l.Path, l.Where, l.What, l.Old, l.New, l.Service, l.Uplink}
		if !c.has(Read, l.Path) { // of all of a row, where the line is the row's
			w.Old = datamodel.Mask(w.Old)
		}
		p.Writes = append(p.Writes, w)
		p.Uplink = p.Uplink || l.Uplink
	}
	for _, a := range after {
		p.Reloads = append(p.Reloads, a.Arg)
	}
	return p, nil
}

// begin starts a transaction with an edit in it. It returns the paths that the
// edit changes.
func (s *Service) begin(ctx context.Context, c Caller, e Edit) (tx *datamodel.Tx, paths []string, err error) {
	at := e.Delete
	switch {
	case e.Add != "":
		at = []string{e.Add}
	case len(e.Set) > 0:
		at = names(e.Set)
	}
	if err := c.mayAll(Write, at...); err != nil {
		return nil, nil, err
	}
	if tx, err = s.Tree.Begin(ctx); err != nil {
		return nil, nil, named(err)
	}
	if paths, err = s.stage(ctx, c, tx, e); err != nil {
		tx.Abort()
		return nil, nil, named(err)
	}
	return tx, paths, nil
}

func (s *Service) stage(ctx context.Context, c Caller, tx *datamodel.Tx, e Edit) (paths []string, err error) {
	list := make([]datamodel.Assignment, len(e.Set))
	for i, a := range e.Set {
		list[i] = datamodel.Assignment{Path: a.Name, Value: a.Value}
	}
	switch {
	case e.Add != "":
		added, err := tx.Add(ctx, e.Add)
		if err != nil {
			return nil, err
		}
		for i := range list {
			list[i].Path = added.Path + list[i].Path
		}
		if err := s.maySecretsBelow(c, e.Add, list); err != nil {
			return nil, err
		}
		return []string{added.Path}, tx.Set(ctx, list...)
	case len(e.Delete) > 0:
		for _, p := range e.Delete {
			if err := tx.Delete(ctx, p); err != nil {
				return nil, err
			}
		}
		return e.Delete, nil
	}
	paths = names(e.Set)
	if err := s.maySecrets(ctx, c, paths); err != nil {
		return nil, err
	}
	return paths, tx.Set(ctx, list...)
}

func names(as []Assignment) []string {
	paths := make([]string, len(as))
	for i, a := range as {
		paths[i] = a.Name
	}
	return paths
}

// write carries an edit out, in one transaction.
func (s *Service) write(ctx context.Context, c Caller, e Edit) (paths []string, deferred bool, err error) {
	tx, paths, err := s.begin(ctx, c, e)
	if err != nil {
		return nil, false, err
	}
	defer tx.Abort()
	result, err := tx.Commit(ctx)
	if err != nil {
		return nil, false, named(err)
	}
	s.Log.Info("written", "by", c.Name, "paths", paths)
	ctx = context.WithoutCancel(ctx)
	if len(result.After) > 0 {
		// It is done by now, so this cannot refuse it any more.
		if err := s.Core.Post(ctx, core.After{}); err != nil {
			s.Log.Error("services are reloaded later: the agent is stopping", "err", err)
		}
	}
	s.Written(ctx, paths)
	return paths, result.Deferred, nil
}
