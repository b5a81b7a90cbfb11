//! The key patterns that most classes share.

/// The class of the array's system.
pub(super) const SYSTEM_CLASS: &str = "Standpipe_ComputerSystem";

/// Sets the four keys of something that lives in a system: the system's class and name, the class
/// itself, and the key that tells it from its like.
macro_rules! scoped_keys {
    ($path:ident, $class:ident . $key:ident, $system_class:expr, $system:expr, $id:expr) => {
        $path
            .key(class::$class::SystemCreationClassName, $system_class)
            .key(class::$class::SystemName, $system)
            .key(class::$class::CreationClassName, stringify!($class))
            .key(class::$class::$key, $id)
    };
}

/// The same for something that lives in the array.
macro_rules! array_keys {
    ($path:ident, $view:ident, $class:ident . $key:ident, $id:expr) => {
        $crate::smis::keys::scoped_keys!(
            $path,
            $class.$key,
            $crate::smis::keys::SYSTEM_CLASS,
            $view.inventory.system.name.as_str(),
            $id
        )
    };
}

pub(super) use {array_keys, scoped_keys};
