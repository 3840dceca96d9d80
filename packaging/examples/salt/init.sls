# Lockdown on this host, with a state document; people.toml lies beside this file.
lockdown:
  pkg.installed: []
  service.running:
    - name: lockdownd
    - enable: true
    - require:
      - pkg: lockdown

/etc/lockdown/state.d/people.toml:
  file.managed:
    - source: salt://lockdown/people.toml
    - user: root
    - group: root
    - mode: "0644"
    - check_cmd: lockdownctl validate
    - require:
      - pkg: lockdown

# Not on changes alone: what an earlier run could not put in force is tried again.
lockdownctl apply:
  cmd.run:
    - unless: lockdownctl apply --check --detailed-exitcode
    - require:
      - service: lockdown
      - file: /etc/lockdown/state.d/people.toml
