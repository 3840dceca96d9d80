# Lockdown on this host, with its state documents.
#
# @param documents
#   Text of documents by name, see lockdown-state(5); from Hiera, for instance.
# @param purge
#   Whether files in state.d that Puppet does not know are removed, and with them the locks that they say.
class lockdown (
  Hash[Pattern[/\A[A-Za-z0-9_][A-Za-z0-9._-]{0,63}\z/], String[1]] $documents = {},
  Boolean $purge = false,
) {
  package { 'lockdown':
    ensure => installed,
  }

  service { 'lockdownd':
    ensure  => running,
    enable  => true,
    require => Package['lockdown'],
  }

  file { '/etc/lockdown/state.d':
    ensure  => directory,
    owner   => 'root',
    group   => 'root',
    mode    => '0755',
    recurse => $purge,
    purge   => $purge,
    force   => $purge,
    require => Package['lockdown'],
    before  => Exec['lockdownctl apply'],
  }

  $documents.each |$name, $content| {
    lockdown::document { $name:
      content => $content,
    }
  }

  # Not on refresh alone: what an earlier run could not put in force is tried again, and fails with file and line until it can.
  exec { 'lockdownctl apply':
    command => '/usr/bin/lockdownctl apply',
    unless  => '/usr/bin/lockdownctl apply --check --detailed-exitcode',
    require => Service['lockdownd'],
  }
}
