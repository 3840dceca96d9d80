# A state document in /etc/lockdown/state.d.
#
# @param content
#   Its text, see lockdown-state(5).
define lockdown::document (
  String[1] $content,
  Enum['present', 'absent'] $ensure = 'present',
) {
  file { "/etc/lockdown/state.d/${title}.toml":
    ensure       => $ensure,
    owner        => 'root',
    group        => 'root',
    mode         => '0644',
    content      => $content,
    validate_cmd => '/usr/bin/lockdownctl validate %',
    require      => Package['lockdown'],
    before       => Exec['lockdownctl apply'],
  }
}
