//! What a playbook says, typed, with the place of every word. Values may still hold templates.

use super::foreign::Foreign;
use crate::content::inventory::{Var, Vars};
use crate::content::place::Place;
use crate::content::yaml::Node;
use indexmap::IndexMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One play, static imports already in place.
#[derive(Clone)]
pub struct Play {
    pub place: Place,
    /// The file it stands in.
    pub file: Arc<Path>,
    /// Its `hosts:` as they are written where it has none.
    pub name: Var,
    /// One pattern; a list is joined by commas.
    pub hosts: Var,
    /// `hosts:` as it was written: one pattern, or each of a list.
    pub patterns: Vec<Var>,
    pub gather_facts: Option<Var>,
    pub gather_subset: Option<Var>,
    pub gather_timeout: Option<Var>,
    pub fact_path: Option<Var>,
    /// Questions of `vars_prompt`: mappings with `name`.
    pub prompts: Vec<Var>,
    pub vars_files: Vec<Var>,
    pub serial: Option<Var>,
    pub order: Option<Var>,
    pub max_fail_percentage: Option<Var>,
    pub force_handlers: Option<Var>,
    pub strategy: Strategy,
    /// Keywords of the play itself: the outermost frame of all its tasks.
    pub frame: Arc<Frame>,
    /// Roles of `roles:` in the order written, then those that tasks import: the play sees their variables.
    pub roles: Vec<Arc<Role>>,
    /// Tasks of `roles:`, dependencies first.
    pub role_tasks: Vec<Item>,
    pub pre_tasks: Vec<Item>,
    pub tasks: Vec<Item>,
    pub post_tasks: Vec<Item>,
    /// Handlers of roles first, then the play's own, in the order of definition.
    pub handlers: Vec<Arc<Task>>,
}

impl Play {
    /// Directory of the playbook that it stands in.
    pub fn dir(&self) -> PathBuf {
        let dir = self.frame.search.first().cloned().unwrap_or_default();
        std::path::absolute(&dir).unwrap_or(dir)
    }

    /// Its roles whose variables the whole play sees.
    pub fn public_roles(&self) -> Arc<[Arc<Role>]> {
        let public = self.roles.iter().filter(|role| role.public);
        public.cloned().collect()
    }
}

/// Whether hosts wait for each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// All hosts are through with a task before the next begins.
    #[default]
    Linear,
    /// Every host goes on as fast as it can.
    Free,
    /// As free, and a host that has begun goes through before another takes its place.
    HostPinned,
}

/// One entry of a list of tasks.
#[derive(Clone)]
pub enum Item {
    Task(Arc<Task>),
    Block(Arc<Block>),
    /// After the last task of a role: from here on the role has run on the host.
    RoleEnd(Arc<Role>),
}

/// Tasks that share keywords, and what to do when one of them fails.
#[derive(Clone)]
pub struct Block {
    pub place: Place,
    pub name: Option<Var>,
    pub frame: Arc<Frame>,
    pub tasks: Vec<Item>,
    pub rescue: Vec<Item>,
    pub always: Vec<Item>,
}

/// One task or handler.
#[derive(Clone)]
pub struct Task {
    /// Unique in this process.
    pub id: u64,
    pub place: Place,
    pub name: Option<Var>,
    /// Short name: `copy`, never `ansible.builtin.copy`.
    pub module: Arc<str>,
    /// The module as it was written, which stands for a name that is missing.
    pub action: Arc<str>,
    pub args: Args,
    /// Its own keywords; `frame.parent` is what it is inherited from.
    pub frame: Arc<Frame>,
    pub looping: Option<Loop>,
    pub register: Option<Arc<str>>,
    pub changed_when: Vec<Var>,
    pub failed_when: Vec<Var>,
    pub until: Vec<Var>,
    pub retries: Option<Var>,
    pub delay: Option<Var>,
    /// `async`: seconds that the task may go on without the controller.
    pub asynchronous: Option<Var>,
    /// Seconds between two looks at it; zero: nobody waits.
    pub poll: Option<Var>,
    pub listen: Vec<Var>,
    /// `apply:` of a dynamic include: keywords for what it includes.
    pub apply: Option<Arc<Keywords>>,
    pub handler: bool,
}

impl Task {
    /// A task that nobody wrote: no loop, no conditions of its own, nothing registered.
    pub fn implied(
        id: u64,
        name: Var,
        (module, action): (&str, &str),
        args: Args,
        frame: Frame,
    ) -> Self {
        Self {
            id,
            place: name.place.clone(),
            name: Some(name),
            module: Arc::from(module),
            action: Arc::from(action),
            args,
            frame: Arc::new(frame),
            looping: None,
            register: None,
            changed_when: Vec::new(),
            failed_when: Vec::new(),
            until: Vec::new(),
            retries: None,
            delay: None,
            asynchronous: None,
            poll: None,
            listen: Vec::new(),
            apply: None,
            handler: false,
        }
    }
}

/// Arguments as they were written.
#[derive(Clone, Default)]
pub struct Args {
    pub map: IndexMap<String, Var>,
    /// The free-form line of `command`, `shell`, `raw`, `script`, `meta`, `include_tasks`.
    pub free_form: Option<Var>,
    /// A template that gives the whole dictionary; `map` wins over it.
    pub whole: Option<Var>,
    /// `apply:` of an include, as it was written.
    pub apply: Option<Node>,
    /// Something is wrong with them; the playbook is prepared for the failure.
    pub doubtful: bool,
    /// The module, when kopsrun doesn't bring it.
    pub foreign: Option<Arc<Foreign>>,
}

impl Args {
    pub fn get(&self, name: &str) -> Option<&Var> {
        self.map.get(name)
    }
}

/// A loop over items.
#[derive(Clone)]
pub struct Loop {
    /// Name of the lookup of `with_NAME`; none for `loop`.
    pub lookup: Option<Arc<str>>,
    pub terms: Var,
    pub label: Option<Var>,
    /// `loop_var` and `index_var`: names, or templates of them.
    pub var: Arc<str>,
    pub index_var: Option<Arc<str>>,
    pub pause: Option<Var>,
    pub extended: Option<Var>,
    pub extended_allitems: Option<Var>,
    /// The loop ends after the item for which all of these hold.
    pub break_when: Vec<Var>,
}

/// Keywords that reach from a play, role, block or include down to its tasks; the innermost one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Keyword {
    AnyErrorsFatal,
    Become,
    BecomeExe,
    BecomeFlags,
    BecomeMethod,
    BecomeUser,
    CheckMode,
    Connection,
    DelegateFacts,
    DelegateTo,
    Diff,
    IgnoreErrors,
    IgnoreUnreachable,
    NoLog,
    Port,
    RemoteUser,
    RunOnce,
    Throttle,
    Timeout,
}

/// Keywords written at one place.
#[derive(Clone, Default)]
pub struct Keywords {
    pub set: Vec<(Keyword, Var)>,
    /// All must be true, outer ones first.
    pub when: Vec<Var>,
    /// Added to those of the outside.
    pub tags: Vec<Var>,
    pub vars: Vars,
    /// Merged, inner ones win.
    pub environment: Vec<Var>,
    pub notify: Vec<Var>,
    /// Collections that short names are looked for in.
    pub collections: Vec<Var>,
    /// `module_defaults`: inner ones win, module by module.
    pub defaults: Vec<Var>,
    /// Modules of the groups that `defaults` names (`group/NAME`).
    pub groups: Vec<(String, Vec<String>)>,
}

/// One level of what a task inherits. The chain ends at the play.
pub struct Frame {
    pub keywords: Keywords,
    /// The role that everything inside belongs to.
    pub role: Option<Arc<Role>>,
    /// Variables of an include: they win over registered results and facts.
    pub params: Vars,
    pub parent: Option<Arc<Frame>>,
    /// Directories in which files named inside are looked for, nearest first.
    pub search: Arc<[PathBuf]>,
    /// Files of the includes that lead here, innermost last, for finding circles.
    pub includes: Arc<[PathBuf]>,
    /// A block with a `rescue:`: what fails inside is dealt with.
    pub rescued: bool,
}

impl Frame {
    /// A level that adds nothing.
    pub fn empty() -> Self {
        Self {
            keywords: Keywords::default(),
            role: None,
            params: Vars::new(),
            parent: None,
            search: Arc::from([]),
            includes: Arc::from([]),
            rescued: false,
        }
    }

    /// The innermost role around.
    pub fn role(&self) -> Option<&Arc<Role>> {
        self.chain().find_map(|frame| frame.role.as_ref())
    }

    /// The innermost setting of a keyword, from here outwards.
    pub fn get(&self, keyword: Keyword) -> Option<&Var> {
        self.all(keyword).next()
    }

    /// What every level says of a keyword, the innermost first.
    pub fn all(&self, keyword: Keyword) -> impl Iterator<Item = &Var> {
        self.chain().filter_map(move |frame| {
            let mut set = frame.keywords.set.iter();
            set.find(|(key, _)| *key == keyword).map(|(_, var)| var)
        })
    }

    /// This frame and those around it.
    pub fn chain(&self) -> impl Iterator<Item = &Frame> {
        std::iter::successors(Some(self), |frame| frame.parent.as_deref())
    }

    /// Conditions, outermost first.
    pub fn conditions(&self) -> Vec<&Var> {
        self.gathered(|keywords| &keywords.when)
    }

    /// Tags, outermost first.
    pub fn tags(&self) -> Vec<&Var> {
        self.gathered(|keywords| &keywords.tags)
    }

    /// Environments, outermost first.
    pub fn environments(&self) -> Vec<&Var> {
        self.gathered(|keywords| &keywords.environment)
    }

    /// Names of handlers to notify, outermost first.
    pub fn notify(&self) -> Vec<&Var> {
        self.gathered(|keywords| &keywords.notify)
    }

    /// Mappings of `module_defaults`, outermost first.
    pub fn defaults(&self) -> Vec<&Var> {
        self.gathered(|keywords| &keywords.defaults)
    }

    fn gathered<'a>(&'a self, of: impl Fn(&'a Keywords) -> &'a Vec<Var>) -> Vec<&'a Var> {
        let mut frames: Vec<&Frame> = self.chain().collect();
        frames.reverse();
        frames
            .into_iter()
            .flat_map(|frame| of(&frame.keywords))
            .collect()
    }
}

/// Layers of variables, the strongest first. Shared: a role that is used twenty times is read once.
pub type Layers = Vec<Arc<Vars>>;

/// A role as one play or include uses it.
pub struct Role {
    /// As it was named; with its collection, when it is in one.
    pub name: Arc<str>,
    /// `namespace.name`.
    pub collection: Option<Arc<str>>,
    pub path: PathBuf,
    pub place: Place,
    /// `defaults/`: its own, then those of the roles that depend on it, then those of its dependencies.
    pub defaults: Layers,
    /// The `vars:` of the entry, `vars/`, those of its dependencies, those of the roles that depend on it.
    pub vars: Layers,
    /// What of it the whole play sees, when it is public.
    pub exports: Layers,
    /// Inline parameters of the entry, then those of the roles that depend on it.
    pub params: Layers,
    /// Roles that it depends on, in order.
    pub dependencies: Vec<Arc<Role>>,
    pub allow_duplicates: bool,
    pub public: bool,
    /// A task brought it in, not `roles:` or a dependency.
    pub by_task: bool,
    /// Two uses with equal identities are the same: the second doesn't run.
    pub identity: String,
}

/// A role with what it does.
pub struct LoadedRole {
    pub role: Arc<Role>,
    /// Tasks of its dependencies first.
    pub tasks: Vec<Item>,
    /// Handlers of its dependencies first.
    pub handlers: Vec<Arc<Task>>,
}
