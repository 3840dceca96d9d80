# puppet apply --modulepath /usr/share/doc/lockdown/examples/puppet site.pp
class { 'lockdown':
  documents => {
    'people' => @(END),
      version = 1

      [[account]]
      name = "alice"
      state = "locked"
      reason = "sabbatical"
      expires = 2036-06-30

      [[account]]
      group = "contractors"
      valid_until = 2036-07-01
      | END
  },
}
